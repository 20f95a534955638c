"""The Lambda function between a public HTTP API route and one SageMaker endpoint, and the bundle that deploys it."""
