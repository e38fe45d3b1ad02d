"""A data set as a picture that people can judge."""
