// Package doctor examines the storage of a node that is not running: log,
// snapshots and data together.
//
// Everything is looked at through a vfs.Overlay, so that the parts can be
// opened as they always are and nothing of the node changes. What a node's
// next open would do is found out by opening it there; a repair is rehearsed
// there before it is proposed, and again before it is done. Only a repair that
// loses nothing, after which the node opened and nothing was found, is one.
//
// [Examine] reads every byte. [Apply] takes the steps of the repair on the node
// itself, and keeps what they change or remove beside the layer it belonged to,
// in LAYER.doctor-TIME.
package doctor
