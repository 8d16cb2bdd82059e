"""Programs that run in a process of their own, with a job as JSON in and a result as JSON out."""
