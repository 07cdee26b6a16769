"""Google Cloud Run and Cloud Logging, as `shared/facts/cloud-run.md` says they behave."""
