"""SageMaker hosting on one machine: the API with its states and errors, and model servers that really run.

It covers what the operator and its users need: models, endpoint configurations, endpoints with deployment guardrails,
`InvokeEndpoint`, `InvokeEndpointAsync`, data capture, jobs, the Model Registry, and Pipelines. It behaves as the AWS
documentation describes, so that code written against it behaves the same on AWS. `python -m eep_platform.sagemaker`
starts it.
"""
