package trimaran

import "context"

// Round is one round of Maintain.
func (s *Storage) Round(ctx context.Context) error { return s.maintain(ctx, s.o.Now()) }
