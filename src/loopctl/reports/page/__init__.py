"""What `report.html` shows, part by part: each module makes one part of a worklog, frozen."""
