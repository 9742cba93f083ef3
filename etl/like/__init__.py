"""New people, described by the definitions of a first cohort."""
