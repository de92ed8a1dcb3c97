"""Many runs: grids, searches, tables, plots and reports."""
