"""The embedded platform: a real Kubernetes control plane and an AWS, as ordinary processes of one machine.

The demo, the tests and the benchmarks use it. The operator never imports it.
"""
