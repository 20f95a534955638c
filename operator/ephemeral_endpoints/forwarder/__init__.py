"""The Lambda function between a public HTTP API route and SageMaker endpoints, and the bundle that deploys it."""
