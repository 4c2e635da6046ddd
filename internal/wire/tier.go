package wire

// MaxUtil is the largest utilisation that is believed: 1.3 in 1/128.
const MaxUtil = 166

// Tier is what a supernode tells of the whole tier: the input of promotion.
type Tier struct {
	Util     uint8  // mean utilisation in 1/128: 0 to 166 (1.3)
	Alive    uint32 // supernodes believed alive
	Eligible uint32 // nodes known to be able to become one
}

func (t Tier) append(b []byte) []byte {
	return u32(u32(append(b, t.Util), t.Alive), t.Eligible)
}

func (r *reader) tier() Tier {
	return Tier{Util: r.upto(MaxUtil), Alive: r.u32(), Eligible: r.u32()}
}
