"""The LLM worker: calls the model, records each answer before anything else happens, and never buys one twice."""
