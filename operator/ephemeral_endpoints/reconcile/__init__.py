"""The reconciler: observe, plan, act, report, and nothing else.

Level-triggered: whatever woke it, a reconciliation looks at the object as it is now, at its class and at what is
known of AWS, takes the steps that lead from there to what should be, writes a status if that says something new, and
answers when it wants to look again by itself. The planning is pure and stands in ``core``.
"""
