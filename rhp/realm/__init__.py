"""Who a peer is to us and what it may have: patterns of identities, their index, pools of inner addresses."""
