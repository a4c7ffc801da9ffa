// The presenter's page module; written on a branch of its own.
