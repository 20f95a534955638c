"""An example model: which of three cultivars a wine comes from, by its chemical analysis (the UCI wine data set).

It is what the operator's demo, tests and documentation deploy: trained by `model.train`, judged by `model.evaluate`
and served in a SageMaker inference container by `model.serve`.
"""
