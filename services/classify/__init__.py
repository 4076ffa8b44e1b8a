"""The service classify: chips in, ages and genders out."""
