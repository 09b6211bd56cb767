"""What host and device share: the standard library and NumPy alone.

The device runtime takes this folder whole, by a link; so its modules import one another relatively.
"""
