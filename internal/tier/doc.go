// Package tier decides who is a supernode, without a coordinator (PROTOCOL.md section 6).
//
// Every supernode estimates the tier's mean utilisation from loads that others report
// (Sampler) and tells its nodes. Every node that could be a supernode draws now and then
// whether to become one, with odds that make the expected number of promotions the right
// one (Policy.Promote); a supernode draws whether to step down with odds a tenth of that
// (Policy.Demote). Nobody is told to, so nothing is lost when whoever would have told is.
//
// Chance needs numbers. A tier of one or two has none, so below the minimum size the
// lowest-ranked supernode appoints nodes by name (Appointer).
//
// Loads are counted in 1/128 and odds are fractions of integers, so that every machine
// comes to the same decision.
package tier
