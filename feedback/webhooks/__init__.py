"""What mail providers post to us about sent messages: who posted it, and which events it holds. Rules only."""
