"""Parameters of SSM for people who call SageMaker themselves: the names of an object's endpoints."""
