package udp

func withoutSegments(c *Conn) {
	if c.many != nil {
		c.many.gso.Store(false)
	}
}
