"""What every pod does alike: settings, logs, metrics, health, Temporal, the object store."""
