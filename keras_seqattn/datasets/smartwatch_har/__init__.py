"""Smartwatch HAR: sitting, standing up, walking and turning with a watch."""
