{{- /*
What each component is. What can be set about it stands in values.yaml.

grace: seconds from SIGTERM to SIGKILL, longer than what the service itself takes at most. The LLM worker finishes the
calls in flight, so its own follows from the longest allowed call (it drains for 30 s more than that); the PDF worker
drains for 150 s; the gateway ends its requests within 20 s, after the 5 s of its preStop hook.
*/ -}}
{{- define "tardigrade.components" -}}
gateway:
  name: gateway
  temporal: true
  objectStore: true
  grace: 45
orchestrator:
  name: orchestrator
  temporal: true
  queue: tardigrade-workflows
  queueType: workflow
  grace: 30
llmWorker:
  name: llm-worker
  temporal: true
  objectStore: true
  queue: tardigrade-llm
  queueType: activity
  grace: {{ add .Values.llm.maxCallSeconds 60 }}
pdfWorker:
  name: pdf-worker
  temporal: true
  objectStore: true
  queue: tardigrade-pdf
  queueType: activity
  grace: 180
{{- if .Values.simulator.enabled }}
simulator:
  name: simulator
  grace: 30
{{- end }}
{{- end -}}

{{- define "tardigrade.values" -}}
{{- /* (dict "root" $ "key" KEY): the component's values over the defaults, as YAML */ -}}
{{- mustMergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (default dict (index .root.Values.components .key))) | toYaml -}}
{{- end -}}

{{- define "tardigrade.temporalAddress" -}}
{{- default (printf "%s-temporal:7233" (include "tardigrade.fullname" .)) .Values.temporal.address -}}
{{- end -}}

{{- define "tardigrade.objectStoreEndpoint" -}}
{{- default (printf "http://%s-minio:9000" (include "tardigrade.fullname" .)) .Values.objectStore.endpoint -}}
{{- end -}}

{{- define "tardigrade.objectStoreSecret" -}}
{{- if .Values.objectStore.existingSecret -}}
{{- .Values.objectStore.existingSecret -}}
{{- else if not .Values.objectStore.endpoint -}}
{{- include "tardigrade.fullname" . }}-minio
{{- end -}}
{{- end -}}

{{- define "tardigrade.urlPort" -}}
{{- /* The port of an address: its own, or its scheme's. */ -}}
{{- $url := urlParse . -}}
{{- if contains ":" $url.host -}}{{- last (splitList ":" $url.host) -}}
{{- else if eq $url.scheme "http" -}}80{{- else -}}443{{- end -}}
{{- end -}}

{{- define "tardigrade.config" -}}
{{- /* (dict "root" $ "key" KEY "component" FACTS): the component's settings, none of them secret */ -}}
{{- $v := .root.Values -}}
LOG_LEVEL: {{ $v.log.level | quote }}
LOG_FORMAT: json
HOME: /tmp
{{- if .component.temporal }}
POD_HTTP_PORT: "9090"
TEMPORAL_ADDRESS: {{ include "tardigrade.temporalAddress" .root | quote }}
TEMPORAL_NAMESPACE: {{ $v.temporal.namespace | quote }}
{{- if $v.temporal.tls.enabled }}
TEMPORAL_TLS: "true"
{{- with $v.temporal.tls.serverName }}
TEMPORAL_TLS_SERVER_NAME: {{ . | quote }}
{{- end }}
{{- if $v.temporal.tls.existingSecret }}
TEMPORAL_TLS_CLIENT_CERT_PATH: /etc/temporal/client/tls.crt
TEMPORAL_TLS_CLIENT_KEY_PATH: /etc/temporal/client/tls.key
{{- end }}
{{- if $v.temporal.tls.caSecret }}
TEMPORAL_TLS_SERVER_CA_CERT_PATH: /etc/temporal/ca/ca.crt
{{- end }}
{{- end }}
{{- if and .component.queue $v.temporal.workerVersioning.enabled }}
TEMPORAL_DEPLOYMENT_NAME: {{ include "tardigrade.fullname" .root }}-{{ .component.name }}
TEMPORAL_WORKER_BUILD_ID: {{ coalesce $v.temporal.workerVersioning.buildId $v.image.tag .root.Chart.AppVersion | quote }}
{{- end }}
{{- end }}
{{- if .component.objectStore }}
AWS_ENDPOINT_URL_S3: {{ include "tardigrade.objectStoreEndpoint" .root | quote }}
AWS_REGION: {{ $v.objectStore.region | quote }}
S3_BUCKET: {{ $v.objectStore.bucket | quote }}
LEDGER_RETENTION_DAYS: {{ $v.objectStore.ledgerRetentionDays | quote }}
{{- if $v.objectStore.caSecret }}
AWS_CA_BUNDLE: /etc/object-store/ca.crt
{{- end }}
{{- end }}
{{- if eq .key "simulator" }}
SIMULATOR_HOST: 0.0.0.0
SIMULATOR_PORT: "9090"
{{- else if eq .key "gateway" }}
GATEWAY_PORT: "8080"
{{- with default (ternary "" "http://localhost:8233" (ne $v.temporal.address "")) $v.temporal.uiUrl }}
TEMPORAL_UI_URL: {{ . | quote }}
{{- end }}
{{- else if eq .key "llmWorker" }}
LLM_MODEL: {{ $v.llm.model | quote }}
{{- if $v.simulator.enabled }}
LLM_API_BASE: http://{{ include "tardigrade.fullname" .root }}-simulator:9090/v1
{{- else if $v.llm.apiBase }}
LLM_API_BASE: {{ $v.llm.apiBase | quote }}
{{- end }}
LLM_MAX_CALL_SECONDS: {{ $v.llm.maxCallSeconds | int | quote }}
LLM_FIRST_TOKEN_SECONDS: {{ $v.llm.firstTokenSeconds | int | quote }}
LLM_IDLE_SECONDS: {{ $v.llm.idleSeconds | int | quote }}
LLM_CONCURRENCY: {{ $v.llm.concurrency | int | quote }}
LLM_REBUY_LIMIT: {{ $v.llm.rebuyLimit | int | quote }}
LLM_RESUME: {{ $v.llm.resume | quote }}
{{- if not (kindIs "invalid" $v.llm.maxCostUsd) }}
LLM_MAX_COST_USD: {{ $v.llm.maxCostUsd | quote }}
{{- end }}
{{- if not (kindIs "invalid" $v.llm.maxTokens) }}
LLM_MAX_TOKENS: {{ $v.llm.maxTokens | int | quote }}
{{- end }}
{{- else if eq .key "pdfWorker" }}
PDF_CONCURRENCY: {{ $v.pdf.concurrency | int | quote }}
{{- end }}
{{- end -}}

{{- define "tardigrade.secretEnv" -}}
{{- /* as tardigrade.config: what comes from Secrets */ -}}
{{- $v := .root.Values -}}
{{- if and .component.temporal $v.temporal.existingSecret }}
- name: TEMPORAL_API_KEY
  valueFrom: {secretKeyRef: {name: {{ $v.temporal.existingSecret }}, key: api-key}}
{{- end }}
{{- if .component.objectStore }}
{{- with include "tardigrade.objectStoreSecret" .root }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end }}
{{- if eq .key "llmWorker" }}
- name: LLM_API_KEY
{{- if $v.simulator.enabled }}
  value: the-simulator-asks-for-no-key
{{- else }}
  valueFrom: {secretKeyRef: {name: {{ $v.llm.existingSecret }}, key: {{ $v.llm.existingSecretKey }}}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tardigrade.certificates" -}}
{{- /* as tardigrade.config: Secrets that are mounted, as a map of volume name to {secret, path} */ -}}
{{- $v := .root.Values -}}
{{- if and .component.temporal $v.temporal.tls.enabled }}
{{- with $v.temporal.tls.existingSecret }}
temporal-client: {secret: {{ . }}, path: /etc/temporal/client}
{{- end }}
{{- with $v.temporal.tls.caSecret }}
temporal-ca: {secret: {{ . }}, path: /etc/temporal/ca}
{{- end }}
{{- end }}
{{- if .component.objectStore }}
{{- with $v.objectStore.caSecret }}
object-store-ca: {secret: {{ . }}, path: /etc/object-store}
{{- end }}
{{- end }}
{{- end -}}
