"""Application Auto Scaling for SageMaker's variants: the API and the scaling itself.

It serves the namespace `sagemaker` with the dimension `sagemaker:variant:DesiredInstanceCount`, in the same process as
SageMaker.
"""
