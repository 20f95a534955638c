"""An embedded GitHub: what reviews of pull requests use of its REST and GraphQL APIs, its webhooks and its pages.

Its rules are GitHub's; where these are not documented, it refuses rather than allows.
"""
