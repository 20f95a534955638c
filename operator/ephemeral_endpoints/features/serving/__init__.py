"""Serving of the models: SageMaker models, endpoint configurations, endpoints and their autoscaling."""
