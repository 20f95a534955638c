"""Puts an operator together from its parts, in this order.

``base`` has the edges and clocks, ``cloud`` the way into AWS, ``services`` what controllers share, ``endpoints`` and
``kinds`` the controllers, ``gauges`` what metrics read, and ``operator`` runs it all.
"""
