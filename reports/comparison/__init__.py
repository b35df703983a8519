"""`wrongkey compare`: does run B protect at least as well as run A?"""
