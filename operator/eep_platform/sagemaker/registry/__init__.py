"""The Model Registry: groups of versioned model packages, their approval, and the models that are made from them.

Source: "Model Registry Models, Model Versions, and Model Groups" in the SageMaker developer guide.
"""
