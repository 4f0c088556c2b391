"""Opportunity: daily activities from sensors on the body."""
