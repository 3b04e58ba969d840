"""What any program needs: errors, processes, progress, logging."""
