"""Batch transform: a model server that answers every object below an S3 prefix, and its answers in S3.

Source: "Use Batch Transform to Run Inference" in the SageMaker developer guide.
"""
