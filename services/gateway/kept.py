"""What the object store keeps of a finished report beyond Temporal's retention: `report.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.contracts import ids
from services.contracts.reports import GenerateReportInput, ObjectRef, Spend, Stage
from services.gateway import bounds, resource
from services.gateway.resource import Report, Status
from services.runtime.object_store import CorruptObjectError, ObjectMissingError, ObjectStore


@dataclass(frozen=True)
class KeptReport:
    """A finished report. `report.json` is written last, so its presence means that the report is complete.

    Attributes:
        id: The report.
        data: What `report.json` says.
    """

    id: str
    data: Mapping[str, Any]

    @property
    def filename(self) -> str:
        """The name of the PDF, as it was made from the model's title: not to be trusted."""
        return str(self.data.get("filename") or "")

    @property
    def pdf(self) -> ObjectRef:
        """The PDF."""
        return self._ref(ids.pdf_key(self.id), "pdf")

    @property
    def markdown(self) -> ObjectRef:
        """The research."""
        return self._ref(ids.markdown_key(self.id), "markdown")

    def _ref(self, key: str, name: str) -> ObjectRef:
        # The key is the one that follows from the id, whatever the object says: nothing else of the bucket is served.
        return ObjectRef(key, self.data[name]["sha256"], self.data[name]["size"])

    def made_from(self, request: GenerateReportInput) -> bool:
        """Tell whether the report answers a request.

        The model is not compared: what is kept is the name of the one that answered, not of the one asked for.
        """
        return self.data.get("prompt") == request.prompt and self.data.get("language") == request.language

    def report(self) -> Report:
        """Return the report as the API shows it."""
        return Report(
            id=self.id,
            status=Status.COMPLETED,
            stage=Stage.DONE,
            title=str(self.data.get("title") or ""),
            prompt=self.data.get("prompt"),
            created_at=datetime.fromisoformat(self.data["created_at"]),
            model=self.data.get("model") or None,
            spend=Spend(**self.data["spend"]) if self.data.get("spend") else None,
            pages=self.data.get("pages"),
            size=self.pdf.size,
            warnings=list(self.data.get("warnings") or []),
            links=resource.links(self.id, completed=True, temporal=None),
        )


async def read(store: ObjectStore, report_id: str) -> KeptReport | None:
    """Return what is kept of a report, `None` for one that is not finished or not known.

    Raises:
        ProblemError: 503, the store does not answer.
        ObjectStoreError: The store failed, or the summary is broken.
    """
    key = ids.summary_key(report_id)
    try:
        stored = await bounds.store(store.read, key)
    except ObjectMissingError:
        return None
    try:
        data = json.loads(stored.data)
    except ValueError as error:
        raise CorruptObjectError(f"{key} is not JSON: it was changed from outside") from error
    return KeptReport(report_id, data)
