"""The steps of the loop, one module each; they speak to ports and write to the journal."""
