"""What people look at: tables, figures, galleries and the sentences around them.

Reads what runs left in files, and needs neither torch nor a network. Must not change a result.
"""
