"""Packages of the SageMaker Model Registry: which version an object serves, and who has approved it."""
