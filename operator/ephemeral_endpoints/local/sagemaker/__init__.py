"""A SageMaker hosting service for one machine: the API, its states and refusals, and model servers that really run.

It serves what the operator and its users need of the service -- models, endpoint configurations, endpoints with their
guarded updates, `InvokeEndpoint`, `InvokeEndpointAsync` and data capture -- as the AWS documentation describes it, so
that code written against it behaves the same on AWS.
Started with `python -m ephemeral_endpoints.local.sagemaker`.
"""
