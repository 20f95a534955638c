"""Training: from data in S3 and the image of the commit to a registered model, by SageMaker Pipelines."""
