"""What goes into the GraphCLIP table: variants, rivals, protocols for unseen classes, and how answers become rows."""
