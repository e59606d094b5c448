"""The job as a plain Temporal program does it, to compare with: the shape of Temporal's own samples and workshops.

One worker for everything, synchronous activities in a thread pool, litellm with its defaults and without streaming, the
whole answer in history, a minimal PDF on the worker's disk. Nothing in it is slower than need be.
"""
