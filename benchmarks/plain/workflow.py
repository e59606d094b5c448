"""The workflow: one activity after the other."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from benchmarks.plain.activities import LLMCallInput, PDFInput, create_pdf, llm_call


@workflow.defn
class PlainReportWorkflow:
    """Makes one report."""

    @workflow.run
    async def run(self, prompt: str) -> str:
        """Call the model, make the PDF."""
        content = await workflow.execute_activity(
            llm_call, LLMCallInput(prompt), start_to_close_timeout=timedelta(seconds=30)
        )
        return await workflow.execute_activity(
            create_pdf,
            PDFInput(content, f"{workflow.info().workflow_id}.pdf"),
            start_to_close_timeout=timedelta(seconds=20),
        )
