class StreamingSession: pass
