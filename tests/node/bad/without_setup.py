"""An application that forgot its setup function."""
