"""SageMaker Pipelines: definitions with their versions, and executions that run their steps as jobs of this service.

The pure modules parse a definition, resolve its expressions and decide what comes next; `executor` and `steps` act.
Sources: "Pipelines" in the SageMaker developer guide, and what the service itself has answered to users of its SDK.
"""
