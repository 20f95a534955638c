"""The Lambda function between a public HTTP API route and SageMaker endpoints, and its deployment package."""
