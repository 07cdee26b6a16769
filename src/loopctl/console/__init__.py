"""What a person sees while a run goes on and when it ends; decides nothing."""
