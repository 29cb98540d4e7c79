"""`scaseg report`: one HTML page of one or more finished runs, which needs nothing but itself when it is opened."""
