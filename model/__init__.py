"""An example model: classifies rows of measurements, such as which of three cultivars a wine comes from.

It is what the operator's demo, tests and documentation deploy: trained by `model.train`, judged by `model.evaluate`
and served in a SageMaker inference container by `model.serve`.
"""
