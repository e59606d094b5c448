"""What crosses a process boundary: payloads, queue names, ids, error types, activity stubs.

Standard library and temporalio only. Fields are only ever added, with defaults, so that a worker of one version reads
what a worker of another wrote.
"""
