#!/usr/bin/env bash
# Sets a Cloud Run Job up that proves, on a schedule, what serves on Cloud Run. May be run again:
# what is there is changed to what stands here. It is you who asks: gcloud must be logged in as
# somebody who may grant roles in the project.
#
#   PROJECT=my-project REGION=us-central1 SERVICES="chat" IMAGE=… ./setup.sh
set -euo pipefail

: "${PROJECT:?the Google Cloud project}"
: "${REGION:?its region, as us-central1}"
: "${SERVICES:?the Cloud Run services of the loop, divided by spaces}"
: "${IMAGE:?the image of the job: REGION-docker.pkg.dev/PROJECT/REPOSITORY/loopctl@sha256:…}"
BUCKET="${BUCKET:-$PROJECT-loopctl}"
SCHEDULE="${SCHEDULE:-17 5 * * 1-5}" # UTC
JOB="${JOB:-loopctl-golden-path}"
ARGUMENTS="${ARGUMENTS:-golden-path,--env,staging,--from,verify}"

runner="loopctl-runner@$PROJECT.iam.gserviceaccount.com"
clock="loopctl-clock@$PROJECT.iam.gserviceaccount.com"
here=(--project "$PROJECT")
quietly=(--format none)

echo "APIs"
gcloud services enable run.googleapis.com cloudscheduler.googleapis.com logging.googleapis.com \
  storage.googleapis.com "${here[@]}"

echo "accounts: one that runs loopctl, one that can do nothing but start it; neither has a key"
for account in loopctl-runner loopctl-clock; do
  gcloud iam service-accounts describe "$account@$PROJECT.iam.gserviceaccount.com" \
    "${here[@]}" "${quietly[@]}" 2>/dev/null ||
    gcloud iam service-accounts create "$account" "${here[@]}"
done

echo "a bucket for the history and the reports, closed to the public"
gcloud storage buckets describe "gs://$BUCKET" "${here[@]}" "${quietly[@]}" 2>/dev/null ||
  gcloud storage buckets create "gs://$BUCKET" --location "$REGION" \
    --uniform-bucket-level-access --public-access-prevention "${here[@]}"
gcloud storage buckets add-iam-policy-binding "gs://$BUCKET" "${here[@]}" \
  --member "serviceAccount:$runner" --role roles/storage.objectUser "${quietly[@]}"

echo "what loopctl needs of each service: to look, to hold the lease, to put traffic back"
for service in $SERVICES; do
  gcloud run services add-iam-policy-binding "$service" --region "$REGION" "${here[@]}" \
    --member "serviceAccount:$runner" --role roles/run.developer "${quietly[@]}"
  # A change of a service wants this of the account that the service itself runs as.
  account="$(gcloud run services describe "$service" --region "$REGION" "${here[@]}" \
    --format 'value(spec.template.spec.serviceAccountName)')"
  : "${account:?$service names no service account to run as}"
  gcloud iam service-accounts add-iam-policy-binding "$account" "${here[@]}" \
    --member "serviceAccount:$runner" --role roles/iam.serviceAccountUser "${quietly[@]}"
done

echo "to read logs, and how far a change is: neither can be granted on less than the project"
for role in roles/logging.viewer roles/run.viewer; do
  gcloud projects add-iam-policy-binding "$PROJECT" --condition None \
    --member "serviceAccount:$runner" --role "$role" "${quietly[@]}"
done

echo "the job: one task, never tried again by itself, since loopctl decides about another try"
gcloud run jobs deploy "$JOB" --image "$IMAGE" --region "$REGION" "${here[@]}" \
  --service-account "$runner" --tasks 1 --max-retries 0 --task-timeout 3600s \
  --cpu 1 --memory 1Gi --args "$ARGUMENTS" \
  --set-env-vars "GCP_PROJECT=$PROJECT,GCP_REGION=$REGION,LOOPCTL_REPORTS=gs://$BUCKET/reports"

echo "the clock: it may start this job, and nothing else"
gcloud run jobs add-iam-policy-binding "$JOB" --region "$REGION" "${here[@]}" \
  --member "serviceAccount:$clock" --role roles/run.invoker "${quietly[@]}"
verb=create
if gcloud scheduler jobs describe "$JOB" --location "$REGION" "${here[@]}" "${quietly[@]}" 2>/dev/null; then
  verb=update
fi
gcloud scheduler jobs "$verb" http "$JOB" --location "$REGION" "${here[@]}" \
  --schedule "$SCHEDULE" --time-zone Etc/UTC --http-method POST --max-retry-attempts 0 \
  --uri "https://run.googleapis.com/v2/projects/$PROJECT/locations/$REGION/jobs/$JOB:run" \
  --oauth-service-account-email "$clock" \
  --oauth-token-scope https://www.googleapis.com/auth/cloud-platform

echo "done; to start it now: gcloud run jobs execute $JOB --region $REGION --project $PROJECT --wait"
